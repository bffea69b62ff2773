//! Parts of pages that are sent anew while somebody looks: server-sent events, as markup.
//!
//! `view` brings the whole part, as a JSON string, where it is not as it was. `end` says why nothing comes any more. The stream ends with
//! the session, whose cookie it came with, and does not count as a use of it.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use maud::{Markup, PreEscaped};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::visitor::Visitor;
use crate::error::ApiResult;
use crate::places::Place;
use crate::state::AppState;
use onward::internals::clock;

/// How often a comment is sent when nothing else is, so that what is in between keeps the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What comes next.
pub enum Shown {
    /// The part as it is now.
    View(Markup),
    /// Nothing any more, for this reason.
    End(String),
}

/// A part of a page that changes.
pub trait Live: Send + 'static {
    /// What to show, when it is time to.
    fn next(&mut self) -> impl Future<Output = Shown> + Send;
}

/// A part that somebody looks at.
struct Followed<L> {
    live: L,
    app: AppState,
    visitor: Visitor,
    /// What was shown last.
    last: String,
    _places: (Place, OwnedSemaphorePermit),
}

impl<L: Live> Followed<L> {
    async fn next(&mut self) -> Shown {
        loop {
            let shown = self.live.next().await;
            let goes_on = self.app.sessions.goes_on(&self.visitor.session, clock::now_ms()).await;
            // While keys cannot be read nobody is sent away.
            if !goes_on.unwrap_or(true) {
                return Shown::End("The session has ended: log in again.".to_owned());
            }
            match &shown {
                Shown::View(PreEscaped(text)) if *text == self.last => continue,
                Shown::View(PreEscaped(text)) => self.last.clone_from(text),
                Shown::End(_) => {}
            }
            return shown;
        }
    }
}

/// The stream of a part, for a visitor who has a place among those who listen.
pub fn follow(app: &AppState, visitor: &Visitor, live: impl Live) -> ApiResult<Response> {
    let _places = app.listen(&visitor.caller.key.id)?;
    let followed = Followed {
        live,
        app: AppState::clone(app),
        visitor: visitor.clone(),
        last: String::new(),
        _places,
    };
    let events = stream::unfold(Some(followed), |followed| async move {
        let mut followed = followed?;
        let shown = followed.next().await;
        let goes_on = matches!(shown, Shown::View(_));
        Some((Ok::<_, Infallible>(event(shown)), goes_on.then_some(followed)))
    });
    let events = events.take_until(app.stopping.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn event(shown: Shown) -> Event {
    // As JSON text has no lines of its own, whatever is in the markup.
    match shown {
        Shown::View(markup) => {
            Event::default().event("view").data(json!(markup.into_string()).to_string())
        }
        Shown::End(why) => Event::default().event("end").data(json!(why).to_string()),
    }
}
