//! The service: wires engine, store, exports and RPC.
#![deny(unsafe_code)]

mod children;
mod device_number;
mod volumes;
