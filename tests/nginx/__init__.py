"""nginx with the shipped fragments, inside whatever people have around them."""
