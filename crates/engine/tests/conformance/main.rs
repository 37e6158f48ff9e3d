//! The conformance lists, line by line, against a target of raw bytes that the tests step by hand
//! (`hawser_testkit::scripted`). docs/conformance.md says which test holds which line.
//!
//! `ffp_*`: the full feature phase suite for initiators of the UNH-IOL. `sup_*`: our supplement.
//! `login_*`, `chap_*`: the titles of the UNH-IOL suites for the login phase and CHAP.

mod chap;
mod chap_suite;
mod core;
mod ffp_commands;
mod ffp_data;
mod ffp_events;
mod ffp_numbers;
mod ffp_recovery;
mod ffp_tasks;
mod ffp_text;
mod levels;
mod listing;
mod login_suite;
mod sup_chap;
mod sup_data;
mod sup_digests;
mod sup_discovery;
mod sup_events;
mod sup_login;
mod sup_negotiation;
mod sup_redirects;
mod sup_tasks;
mod support;
