//! The program `iscsicli`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    hawser_cli::iscsicli()
}
