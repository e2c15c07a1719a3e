"""The OpenAPI document of what the hub serves, out of the route table and the Structs."""
