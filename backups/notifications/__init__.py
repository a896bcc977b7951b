"""The ways to people: channels, and the program that sends."""
