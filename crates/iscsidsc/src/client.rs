//! The blocking client of the daemon's RPC.
