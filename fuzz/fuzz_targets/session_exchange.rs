//! A hostile target in the full feature phase of a session with one connection at error recovery
//! level 0: see [`hawser_fuzz::initiator`] for what must hold.
#![no_main]

use hawser_fuzz::initiator::{Setting, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let setting = Setting {
        level: 0,
        connections: 1,
    };
    play(data, setting);
});
