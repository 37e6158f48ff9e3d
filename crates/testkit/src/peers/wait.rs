//! Bounded waits.

use std::time::{Duration, Instant};

use super::PeerError;

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Polls `condition` until it gives a value, at most for `limit`. `what` completes the sentence
/// "(what): not within 3 s".
///
/// # Errors
/// [`PeerError::Timeout`] with the last reason that `condition` gave.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> Result<T, PeerError> {
    let deadline = Instant::now() + limit;
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(detail) if Instant::now() >= deadline => {
                return Err(PeerError::Timeout {
                    what: what.to_owned(),
                    limit,
                    detail,
                });
            }
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_value_or_the_last_reason() {
        let mut calls = 0;
        let value = wait_until("three calls", Duration::from_secs(5), || {
            calls += 1;
            if calls == 3 {
                Ok(calls)
            } else {
                Err("not yet".into())
            }
        });
        assert_eq!(value.unwrap(), 3);
        let error =
            wait_until::<()>("never", Duration::from_millis(1), || Err("why".into())).unwrap_err();
        assert!(error.to_string().contains("why"));
    }
}
