"""The recipe of the starter model: words, banks, conversations, tokens, network. Scripts beside it run the stages."""
