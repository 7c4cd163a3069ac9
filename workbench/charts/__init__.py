"""Charts for tool files: columns chosen, drawn and said in words, so that they can be read by everybody."""
