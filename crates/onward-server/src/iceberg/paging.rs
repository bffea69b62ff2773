//! Pages of names: which one is asked for, and where the next one begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::error::{ApiError, ApiResult};
use onward_iceberg::catalog::{NAMES_MAX, Page};

/// The longest token, in bytes: of the longest path, and no more.
const TOKEN_LEN_MAX: usize = 1400;

/// What a request for names says of pages. Without a token all names are asked for, as the specification has it.
#[derive(Deserialize)]
pub struct PageQuery {
    #[serde(rename = "pageToken")]
    pub page_token: Option<String>,
    #[serde(rename = "pageSize")]
    pub page_size: Option<usize>,
}

impl PageQuery {
    /// The page that is meant.
    pub fn page(self) -> ApiResult<Page> {
        if self.page_size == Some(0) {
            return Err(ApiError::invalid(format!("pageSize is 1 to {NAMES_MAX}")));
        }
        let Some(token) = self.page_token else { return Ok(Page::default()) };
        let size = Some(self.page_size.unwrap_or(NAMES_MAX));
        if token.is_empty() {
            return Ok(Page { size, after: None });
        }
        let foreign = || {
            ApiError::invalid(
                "the pageToken is not one that this catalog gave: begin anew, with an empty one",
            )
        };
        if token.len() > TOKEN_LEN_MAX {
            return Err(foreign());
        }
        let after =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|after| String::from_utf8(after).ok());
        let after = after.filter(|after| !after.is_empty() && !after.contains('\0'));
        Ok(Page { size, after: Some(after.ok_or_else(foreign)?) })
    }
}

/// The token of the next page.
pub fn next_page(next: Option<&str>) -> Option<String> {
    next.map(|next| URL_SAFE_NO_PAD.encode(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(token: Option<&str>, size: Option<usize>) -> ApiResult<Page> {
        PageQuery { page_token: token.map(str::to_owned), page_size: size }.page()
    }

    #[test]
    fn a_token_says_where_to_go_on_and_nothing_else_is_one() {
        let next = next_page(Some("ä/b.table")).unwrap();
        let read = page(Some(&next), Some(2)).unwrap();
        assert_eq!((read.after.as_deref(), read.size), (Some("ä/b.table"), Some(2)));
        assert!(page(None, Some(2)).unwrap().size.is_none(), "all, without a token");
        assert!(page(Some(""), None).unwrap().after.is_none());
        for bad in ["%", "_w", &"a".repeat(1500), &next_page(Some("\0")).unwrap()] {
            assert!(page(Some(bad), None).is_err(), "{bad}");
        }
        assert!(page(Some(""), Some(0)).is_err());
    }
}
