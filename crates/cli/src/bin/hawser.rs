//! The program `hawser`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    hawser_cli::hawser()
}
