"""Tools for those who develop Millstream itself; no service and no user command imports them."""
