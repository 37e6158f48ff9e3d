//! The local RPC contract: messages, client, status codes.
#![forbid(unsafe_code)]
