"""A stand-in for Neon on this machine: its HTTP API with its awkward sides, over the embedded PostgreSQL.

It serves the tests and `agentdb demo --neon`. docs/reference/neon.md says what it imitates and what not;
`make conformance-neon` holds it to Neon's own OpenAPI file, command line and SDK.
"""
