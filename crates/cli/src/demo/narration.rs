//! Tells the demo step by step, each with its time.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::error::CliError;
use crate::output;
use crate::progress;

/// The telling of a demo.
pub(super) struct Narration {
    begun: Instant,
    number: u32,
    what: &'static str,
    took: Duration,
}

impl Narration {
    /// Tells what is about to be shown.
    pub(super) fn begin(stage: &Stage) -> Result<Self, CliError> {
        let who = if nix::unistd::geteuid().is_root() {
            "root"
        } else {
            "a plain user"
        };
        let directory = stage.directory().display();
        output::print(&format!(
            "A bound volume comes back after the daemon was killed (as {who}, files in {directory})"
        ))?;
        Ok(Self {
            begun: Instant::now(),
            number: 0,
            what: "",
            took: Duration::ZERO,
        })
    }

    /// Carries out one step; a failure says which step it was.
    pub(super) async fn step<T>(
        &mut self,
        what: &'static str,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        self.number += 1;
        self.what = what;
        let begun = Instant::now();
        let done = progress::during(what, work).await;
        self.took = begun.elapsed();
        done.map_err(|error| error.with("step", format!("{}: {what}", self.number)))
    }

    /// Tells how the step went.
    pub(super) fn result(&self, result: &str) -> Result<(), CliError> {
        let took = self.took.as_secs_f64();
        let result = hawser_api::printable(result);
        output::print(&format!(
            "{:>3}. {:<41}{took:>6.2} s  {result}",
            self.number, self.what
        ))
    }

    /// Tells that all went well.
    pub(super) fn end(&self) -> Result<(), CliError> {
        output::print(&format!(
            "All well in {:.2} s.",
            self.begun.elapsed().as_secs_f64()
        ))
    }
}
