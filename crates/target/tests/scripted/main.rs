//! A scripted initiator against the real target over TCP. It makes its PDUs of raw bytes, with
//! constants of its own from the RFC text, and shares nothing with the codec.

mod connections;
mod data;
mod discovery;
mod disorder;
mod faults;
mod forward;
mod hostile;
mod level2;
mod login;
mod long;
mod numbering;
mod raw;
mod reassign;
mod recovery;
mod strikes;
mod tasks;
mod titles;
mod within;
