//! What pages load: a style sheet, a script, an icon. Each is known by its content, so that a browser keeps it
//! for good and never has an old one.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::links::Link;
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;

/// A file that pages load.
pub struct Asset {
    name: LazyLock<String>,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($(#[$doc:meta])* $name:ident, $($file:literal)+, $stem:literal, $extension:literal, $content_type:literal) => {
        $(#[$doc])*
        pub static $name: Asset = Asset {
            name: LazyLock::new(|| named($stem, concat!($(include_str!($file)),+), $extension)),
            content_type: $content_type,
            content: concat!($(include_str!($file)),+),
        };
    };
}

asset!(
    /// How pages look.
    STYLE, "assets/style.css" "assets/content.css", "style", "css", "text/css; charset=utf-8"
);
asset!(
    /// What keeps pages up to date that show what is live.
    SCRIPT, "assets/live.js", "live", "js", "text/javascript; charset=utf-8"
);
asset!(
    /// The picture beside the title.
    ICON, "assets/icon.svg", "icon", "svg", "image/svg+xml"
);

/// How long a browser may keep it: its name changes with it.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

impl Asset {
    /// Where it is.
    pub fn link(&self) -> Link {
        Link::to(&["assets", &self.name])
    }
}

fn named(stem: &str, content: &str, extension: &str) -> String {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!("{stem}.{}.{extension}", hash.get(..16).unwrap_or_default())
}

/// Sends one of them.
pub async fn send(Path(name): Path<String>) -> ApiResult<Response> {
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| *asset.name == name);
    let asset = asset.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such file: it was that of another version, load the page again",
        )
    })?;
    let headers = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, FOR_GOOD)];
    Ok((headers, asset.content).into_response())
}
