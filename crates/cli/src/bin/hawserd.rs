//! The program `hawserd`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    hawser_cli::daemon()
}
