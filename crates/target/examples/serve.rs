//! The program `hawser-target` by itself: `cargo run -p hawser-target --example serve -- --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    hawser_target::program::main_from_args(std::env::args_os()).await
}
