"""What is read from Azure: subscriptions, networks, peerings and endpoints as one snapshot."""
