"""The node's controllers: each compares what is wanted with what is, over the node's own store."""
