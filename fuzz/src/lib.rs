//! What the targets of whole sessions share: scripts, PDUs as bytes, and the two hostile peers.
#![forbid(unsafe_code)]

pub mod hostile_initiator;
pub mod hostile_target;
pub mod initiator;
pub mod script;
pub mod wire;
