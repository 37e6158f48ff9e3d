//! Says on a terminal that something is going on, once it has taken a second.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use hawser_api::printable;
use indicatif::{ProgressBar, ProgressStyle};

/// Shorter work is done before anyone wonders.
const QUIET: Duration = Duration::from_secs(1);

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for `work`; if it takes longer than a second and stderr is a terminal, says `what` meanwhile
/// and how long it has been going on.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    during_unless_within(QUIET, what, work).await
}

async fn during_unless_within<T>(quiet: Duration, what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(quiet) => {}
    }
    let spinner = Spinner::start(what, quiet);
    let done = work.await;
    drop(spinner);
    done
}

/// A sign of life on stderr, gone when dropped. Nothing is shown where stderr is no terminal.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// Begins to show `what`, which has been going on for `since`.
    pub(crate) fn start(what: &str, since: Duration) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_elapsed(since);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(printable(what));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows this from now on.
    pub(crate) fn say(&self, what: &str) {
        self.0.set_message(printable(what));
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_of_any_length_gives_its_result() {
        assert_eq!(during("short", async { 1 }).await, 1);
        let long = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            2
        };
        assert_eq!(
            during_unless_within(Duration::from_millis(1), "long", long).await,
            2
        );
    }
}
