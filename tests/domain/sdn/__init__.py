"""The controller's parts, one by one."""
