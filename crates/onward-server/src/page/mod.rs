//! The page for people with a browser: `/ui`.
//!
//! Pages are made here, as HTML, and work without scripts, but for what is live. A handler takes a
//! [`visitor::Visitor`], reads the library as the APIs do, and gives a [`layout::Page`]; what it cannot do
//! is an error like anybody's, and [`speak`] makes a page of it. Links are made by [`links`], pages of lists
//! by [`paging`]. A form has [`visitor::Visitor::token`] in it, without which [`door`] lets no form in.

mod all_queues;
mod assets;
mod checkup;
mod content;
mod deployment;
mod door;
mod layout;
mod links;
mod live;
mod login;
mod measured;
mod paging;
mod queue;
mod queue_view;
mod queues;
mod repos;
mod setup;
mod sinks;
mod speak;
mod visitor;
mod window;
mod words;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::extract::limited;
use crate::state::AppState;

pub use all_queues::AllQueues;
pub use checkup::Checkup;
pub use content::look_at_parquet;
pub use setup::Setup;
pub use speak::speak;

/// The longest form, in bytes.
const FORM_LEN_MAX: usize = 256 << 10;

/// The routes of all pages.
pub fn routes(app: &AppState) -> Router<AppState> {
    let own = Router::new()
        .route("/ui", get(home))
        .route("/ui/", get(home))
        .route("/ui/logout", post(login::log_out))
        .route("/ui/queues", get(queues::show))
        .route("/ui/queues/live", get(queues::follow))
        .route("/ui/repos", get(repos::list))
        .route("/ui/repos/{repo}/sinks", get(sinks::show))
        .route("/ui/repos/{repo}/sinks/revive", post(sinks::revive))
        .route("/ui/repos/{repo}/branches/{branch}/queue", get(queue::show))
        .route("/ui/repos/{repo}/branches/{branch}/queue/live", get(queue::follow))
        .route(
            "/ui/repos/{repo}/branches/{branch}/queue/cancel",
            get(queue::ask_to_cancel).post(queue::cancel),
        )
        .merge(content::routes())
        .route("/ui/deployment", get(deployment::show))
        .route("/ui/deployment/checkup", post(deployment::check_up))
        .layer(from_fn_with_state(app.clone(), door::enter));
    let open = Router::new()
        .route("/ui/login", get(login::show).post(login::log_in))
        .route("/ui/assets/{name}", get(assets::send));
    limited(own.merge(open), FORM_LEN_MAX)
}

/// The first page: what nobody else has to show.
async fn home() -> Redirect {
    Redirect::to(links::queues().as_str())
}
