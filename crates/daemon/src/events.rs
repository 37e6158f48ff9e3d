//! What happened lately: a ring of events, and those to come for whoever follows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hawser_api::v1::{Event, SessionId, Severity};
use hawser_api::{Failure, Status};
use tokio::sync::broadcast;

/// Events that are kept, and that a slow follower may lag behind.
const KEPT_EVENTS: usize = 1024;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_ms() -> i64 {
    ms_of(SystemTime::now())
}

/// A time as milliseconds since 1970-01-01T00:00:00Z; 0 before that.
pub(crate) fn ms_of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Something to tell.
#[derive(Debug, Clone)]
pub(crate) struct News {
    severity: Severity,
    kind: &'static str,
    detail: Failure,
    session_id: Option<SessionId>,
    lun: Option<u64>,
    path: String,
}

impl News {
    fn new(severity: Severity, kind: &'static str, detail: Failure) -> Self {
        Self {
            severity,
            kind,
            detail,
            session_id: None,
            lun: None,
            path: String::new(),
        }
    }

    /// Good to know.
    pub(crate) fn info(kind: &'static str, message: impl Into<String>) -> Self {
        let detail = Failure::new(Status::ERROR_SUCCESS, message);
        Self::new(Severity::Info, kind, detail)
    }

    /// Works, but not as it should.
    pub(crate) fn warning(kind: &'static str, detail: Failure) -> Self {
        Self::new(Severity::Warning, kind, detail)
    }

    /// Does not work.
    pub(crate) fn error(kind: &'static str, detail: Failure) -> Self {
        Self::new(Severity::Error, kind, detail)
    }

    /// Names the target.
    pub(crate) fn target(mut self, target: &str) -> Self {
        self.detail = self.detail.with_target(target);
        self
    }

    /// Names the session.
    pub(crate) fn session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// Names the LUN.
    pub(crate) fn lun(mut self, lun: u64) -> Self {
        self.lun = Some(lun);
        self
    }

    /// Names the bound path.
    pub(crate) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }
}

/// The events of this daemon's life.
#[derive(Debug)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
    follow: broadcast::Sender<Event>,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Event>,
}

impl Events {
    /// No events yet.
    pub(crate) fn new() -> Self {
        Self {
            ring: Mutex::default(),
            follow: broadcast::channel(KEPT_EVENTS).0,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs it, keeps it and tells whoever follows.
    pub(crate) fn tell(&self, news: News) {
        log(&news);
        let mut ring = self.ring();
        ring.last += 1;
        let event = Event {
            sequence: ring.last,
            time_ms: now_ms(),
            severity: news.severity.into(),
            kind: news.kind.to_owned(),
            detail: Some(news.detail.into()),
            session_id: news.session_id,
            lun: news.lun,
            path: news.path,
        };
        if ring.kept.len() == KEPT_EVENTS {
            ring.kept.pop_front();
        }
        ring.kept.push_back(event.clone());
        // Without followers there is nobody to tell. Sent under the lock, so that order is kept.
        let _ = self.follow.send(event);
    }

    /// The last `recent` events (0: all that are kept), and those from then on: none is lost or told
    /// twice between.
    pub(crate) fn watch(&self, recent: usize) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let ring = self.ring();
        let follow = self.follow.subscribe();
        let skip = if recent == 0 {
            0
        } else {
            ring.kept.len().saturating_sub(recent)
        };
        (ring.kept.iter().skip(skip).cloned().collect(), follow)
    }
}

/// One line of log: what failed, on which target and portal, what the peer said, what to do.
fn log(news: &News) {
    let (kind, what, path) = (news.kind, &news.detail, news.path.as_str());
    match news.severity {
        Severity::Error => tracing::error!(kind, path, "{what}"),
        Severity::Warning => tracing::warn!(kind, path, "{what}"),
        _ => tracing::info!(kind, path, target_name = %what.target, "{}", what.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_latest_and_counts_all() {
        let events = Events::new();
        for n in 0..KEPT_EVENTS + 5 {
            events.tell(
                News::info("test", format!("{n}"))
                    .target("t")
                    .lun(3)
                    .path("/p"),
            );
        }
        let (all, _) = events.watch(0);
        assert_eq!((all.len(), all[0].sequence), (KEPT_EVENTS, 6));
        let (few, _) = events.watch(2);
        assert_eq!(
            few.iter().map(|event| event.sequence).collect::<Vec<_>>(),
            [1028, 1029]
        );
        let last = &few[1];
        assert_eq!(last.detail.as_ref().unwrap().message, "1028");
        assert_eq!((last.lun, last.path.as_str()), (Some(3), "/p"));
    }

    #[tokio::test]
    async fn a_follower_gets_what_comes_after_the_ring() {
        let events = Events::new();
        events.tell(News::info("test", "before"));
        let (kept, mut follow) = events.watch(0);
        events.tell(News::error(
            "test",
            Failure::new(Status::LOGIN_FAILED, "after"),
        ));
        assert_eq!(kept.len(), 1);
        let event = follow.recv().await.unwrap();
        assert_eq!((event.sequence, event.severity()), (2, Severity::Error));
        assert_eq!(event.detail.unwrap().status, Status::LOGIN_FAILED.code());
    }
}
