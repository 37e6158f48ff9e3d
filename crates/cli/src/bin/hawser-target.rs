//! The program `hawser-target`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    hawser_cli::target()
}
