"""Flower wants one; the nodes are federa's."""

from flwr.clientapp import ClientApp

app = ClientApp()
