"""The node's hands: files, sockets, keys and the edge proxy behind the ports of its controllers."""
