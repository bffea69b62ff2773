//! The description of the API, made of the code: of each handler, and of the shapes that it takes and
//! gives.

use std::borrow::Cow;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Description, RefOr, Schema};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use super::outcome::{ConflictShape, OutcomeShape};
use super::{
    changes, events, export, merges, producers, protection, samples, sinks, table, tables, tickets,
    valid_through, write_policy,
};
use crate::lakefs;

/// Where the API is.
const ROOT: &str = "/onward/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Onward",
        description = "Commits to data lakes that no other commit can make fail. Beside this API the sidecar speaks lakeFS's under /api/v1, and an Iceberg catalog under /iceberg.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "commits", description = "Change sets and merges"),
        (name = "tickets", description = "What became of accepted ops, and what waits"),
        (name = "producers", description = "Where a producer that starts again goes on"),
        (name = "export", description = "Listings, histories and differences as files: Parquet, CSV, lines of JSON"),
        (name = "policy", description = "Protected branches, and how objects are written by clients that know no commits"),
        (name = "sinks", description = "Where events of branches go: webhooks and streams"),
        (name = "lakeFS", description = "lakeFS's API, for its own clients. Parameters and shapes are those of lakeFS; docs/lakefs-compatibility.md says what differs."),
    ),
    modifiers(&Logins),
    security(("basic" = []), ("bearer" = [])),
)]
struct Document;

#[derive(OpenApi)]
#[openapi(paths(
    changes::commit,
    merges::merge,
    tickets::show,
    tickets::cancel,
    tickets::queue,
    producers::show,
    events::listen,
    valid_through::show,
    tables::differing,
    export::objects,
    export::commits,
    export::diff,
    write_policy::show,
    write_policy::replace,
    protection::list,
    protection::set,
    protection::remove,
    sinks::list,
    sinks::add,
    sinks::remove,
    sinks::test,
    sinks::revive,
    sinks::rotate
))]
struct Paths;

struct Logins;

impl utoipa::Modify for Logins {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        for (name, scheme, what) in [
            ("basic", HttpAuthScheme::Basic, "Access key id and secret"),
            ("bearer", HttpAuthScheme::Bearer, "A token from /api/v1/auth/login"),
        ] {
            let scheme = HttpBuilder::new().scheme(scheme).description(Some(what)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// What the API is, in OpenAPI 3.1.
pub fn description() -> Description {
    let mut description = Document::openapi();
    let mut paths = Paths::openapi();
    // What it is about is said above.
    paths.info = Description::default().info;
    description.merge(Description::default().nest(ROOT, paths));
    for (path, item) in &mut description.paths.paths {
        samples::add(path, item);
    }
    for (path, item) in lakefs::describe::paths() {
        description.paths.paths.entry(path).or_default().merge_operations(item);
    }
    description.info.description = Some(format!(
        "{} Examples take the two variables of an access key, and this first: `{}`",
        description.info.description.unwrap_or_default(),
        samples::BEGIN
    ));
    description
}

/// Every path of Onward's own that is answered, with its methods, as the description must have them.
pub fn routes_told() -> Vec<(String, &'static [&'static str])> {
    table().into_iter().map(|(path, methods, _)| (format!("{ROOT}{path}"), methods)).collect()
}

/// What the description has to type, in an order in which it works.
pub fn samples_told() -> Vec<String> {
    [samples::BEGIN.to_owned()].into_iter().chain(samples::all(ROOT)).collect()
}

impl ToSchema for OutcomeShape {
    fn name() -> Cow<'static, str> {
        "OutcomeShape".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
    }
}

impl PartialSchema for OutcomeShape {
    fn schema() -> RefOr<Schema> {
        Fields::schema()
    }
}

/// What became of an op.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
struct Fields {
    /// `committed`, `applied` (a reset, the end of a branch: it took effect and is no commit),
    /// `no_changes`, `conflict`, `lost_race`, `failed`, `cancelled`, `behind` (another op had the
    /// producer's sequence, or it was sent out of order), `fenced` (a newer epoch of the producer
    /// took over) or `still_queued`.
    outcome: &'static str,
    /// The commit, if it became one.
    commit: Option<String>,
    /// Its place in the branch's order, if it was queued.
    ticket: Option<u64>,
    /// Its id: submitting it again gives the same outcome.
    #[schema(min_length = 36, max_length = 36)]
    op_id: String,
    /// Rounds that the sidecar ran for it.
    rounds: u64,
    /// Ops decided together with it.
    batch: u32,
    /// From acceptance to outcome, in milliseconds.
    wait_ms: u64,
    /// The first conflicting paths, at most 10,000.
    conflicts: Vec<ConflictShape>,
    /// How many there are, of a conflict.
    conflicts_total: Option<u64>,
    /// What the next try of a merge can go on from, where it lost a race.
    hint: Option<String>,
    /// Why it failed, is behind or was fenced, or what holds it up.
    reason: Option<String>,
    /// Whether it had been decided before it was sent this time: left out, or `true`.
    repeated: Option<bool>,
    /// Of what is behind or fenced: the producer's last epoch that was decided.
    last_epoch: Option<u64>,
    /// Of what is behind or fenced: the last sequence that was decided under that epoch.
    last_sequence: Option<u64>,
    /// Of what is behind: the op that had the producer's sequence, where it is known.
    #[schema(min_length = 36, max_length = 36)]
    earlier_op: Option<String>,
    /// Of what is behind: the commit of that op, where it made one.
    earlier: Option<String>,
}
