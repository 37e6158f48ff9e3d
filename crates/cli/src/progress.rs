//! Says on a terminal that something is going on, once it has taken a second.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
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

/// The sign of life that is shown now: there is one at most.
static SHOWN: Mutex<Option<Arc<Shown>>> = Mutex::new(None);

/// A bar, and what makes it appear.
#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    appearing: Option<JoinHandle<()>>,
}

impl Shown {
    fn start(what: &str) -> Arc<Self> {
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
        Arc::new(Self { bar, appearing })
    }

    /// Takes it away, for good.
    fn end(&self) {
        if let Some(appearing) = &self.appearing {
            appearing.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// Shows this in the place of what was shown before.
fn replace(shown: Option<Arc<Shown>>) {
    let mut place = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = std::mem::replace(&mut *place, shown) {
        before.end();
    }
}

/// Begins to say `what`, until something is printed, something else is said, or [`end`]. Must be called
/// in a tokio runtime.
pub(crate) fn begin(what: &str) {
    replace(Some(Shown::start(what)));
}

/// Ends what is shown, if anything is: somebody else wants the terminal.
pub(crate) fn end() {
    replace(None);
}

/// A sign of life on stderr: it shows itself after a second, and is gone when dropped, or when something
/// is printed. Where stderr is no terminal it never shows.
pub(crate) struct Spinner {
    shown: Arc<Shown>,
}

impl Spinner {
    /// Begins with `what`. Must be called in a tokio runtime.
    pub(crate) fn start(what: &str) -> Self {
        let shown = Shown::start(what);
        replace(Some(Arc::clone(&shown)));
        Self { shown }
    }

    /// Shows this from now on.
    pub(crate) fn say(&self, what: &str) {
        self.shown.bar.set_message(printable(what));
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.shown.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: what is shown is shared by the whole process.
    #[tokio::test]
    async fn work_gives_its_result_and_one_thing_is_shown_at_a_time() {
        assert_eq!(during("work", async { 1 }).await, 1);
        let spinner = Spinner::start("hostile \x1b[2J");
        assert_eq!(spinner.shown.bar.message(), "hostile \\u{1b}[2J");
        spinner.say("more\r");
        assert_eq!(spinner.shown.bar.message(), "more\\u{d}");
        assert!(spinner.shown.bar.is_hidden());
        begin("something else");
        assert!(spinner.shown.bar.is_finished());
        let second = Spinner::start("a third thing");
        end();
        assert!(second.shown.bar.is_finished());
    }
}
