//! The sans-IO core of iSCSI: PDUs, negotiation, login, sessions.
#![forbid(unsafe_code)]
