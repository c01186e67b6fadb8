"""How the gateway reaches what is behind it: upstream connections and the keys of token issuers."""
