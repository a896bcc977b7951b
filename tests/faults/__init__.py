"""What Vedetta promises when things break, each promise with its experiment on real servers.

`promises.py` states them; the other modules break something and then hold Vedetta to them. The
table of which experiment stands for which promise is docs/reliability.md.
"""
