//! The service: wires engine, store, exports and RPC.
#![deny(unsafe_code)]
