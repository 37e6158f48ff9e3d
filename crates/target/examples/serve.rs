//! The program `hawser-target` by itself: `cargo run -p hawser-target --example serve -- --help`.

use std::process::ExitCode;

use hawser_target::program::{FarTarget, main_from_args};

#[tokio::main]
async fn main() -> ExitCode {
    let words = std::env::args_os();
    let no_initiator = |_: &FarTarget| Err("only `hawser target` can forward".to_owned());
    main_from_args(words, no_initiator).await
}
