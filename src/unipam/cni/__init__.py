"""The CNI protocol in every version, dispatch by plugin name, the native launcher and its installation."""
