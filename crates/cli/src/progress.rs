//! Says on a terminal that something is going on, once it has taken a second.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use hawser_api::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

/// Shorter work is done before anyone wonders.
const QUIET: Duration = Duration::from_secs(1);

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for `work`; if it takes longer than a second and stderr is a terminal, says `what` meanwhile
/// and how long it has been going on.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let spinner = Spinner::start(what);
    let done = work.await;
    drop(spinner);
    done
}

/// A sign of life on stderr: it shows itself after a second, and is gone when dropped. Where stderr is
/// no terminal it never shows.
pub(crate) struct Spinner {
    bar: ProgressBar,
    appearing: Option<JoinHandle<()>>,
}

impl Spinner {
    /// Begins with `what`. Must be called in a tokio runtime.
    pub(crate) fn start(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(printable(what));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let appear = async move {
            tokio::time::sleep(QUIET).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(TICK);
        };
        let appearing = io::stderr().is_terminal().then(|| tokio::spawn(appear));
        Self { bar, appearing }
    }

    /// Shows this from now on.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(printable(what));
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(appearing) = &self.appearing {
            appearing.abort();
        }
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_gives_its_result() {
        assert_eq!(during("work", async { 1 }).await, 1);
        let spinner = Spinner::start("hostile \x1b[2J");
        assert_eq!(spinner.bar.message(), "hostile \\u{1b}[2J");
        spinner.say("more\r");
        assert_eq!(spinner.bar.message(), "more\\u{d}");
        assert!(spinner.bar.is_hidden());
    }
}
