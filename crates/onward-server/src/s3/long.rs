//! Answers that begin long before they are known: an XML document goes on with blanks, and ends with what
//! came of it. s3s declares the document a second time where that is an error, which no reader of XML takes.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http_body_util::BodyExt;

/// The same answer as one document. Others than those that begin early are left as they are.
pub fn one_document(response: http::Response<s3s::Body>) -> Response {
    if !response.headers().contains_key(TRANSFER_ENCODING) {
        return response.map(Body::new);
    }
    let mut begun = false;
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            frame.map_data(|piece| match std::mem::replace(&mut begun, true) {
                true => undeclared(piece),
                false => piece,
            })
        }))
    })
}

/// A piece without the declaration that it begins with.
fn undeclared(piece: Bytes) -> Bytes {
    const END: &[u8] = b"?>";
    let end = piece.windows(END.len()).position(|bytes| bytes == END);
    match end.filter(|_| piece.starts_with(b"<?xml")) {
        Some(end) => piece.slice(end + END.len()..),
        None => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput};
    use s3s::service::S3ServiceBuilder;
    use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

    /// Completes nothing, after a while.
    struct Late;

    #[async_trait]
    impl S3 for Late {
        async fn complete_multipart_upload(
            &self,
            request: S3Request<CompleteMultipartUploadInput>,
        ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
            let key = request.input.key;
            let future = async move {
                tokio::task::yield_now().await;
                match key.as_str() {
                    "good" => Ok(CompleteMultipartUploadOutput::default()),
                    _ => Err(s3_error!(PreconditionFailed, "it is there")),
                }
            };
            Ok(S3Response::new(CompleteMultipartUploadOutput {
                future: Some(Box::pin(future)),
                ..CompleteMultipartUploadOutput::default()
            }))
        }
    }

    async fn completed(key: &str) -> String {
        let request = http::Request::post(format!("http://x/bucket/{key}?uploadId=1"));
        let parts = "<CompleteMultipartUpload></CompleteMultipartUpload>".to_owned();
        let service = S3ServiceBuilder::new(Late).build();
        let response = service.call(request.body(parts.into()).unwrap()).await.unwrap();
        let body = one_document(response).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_fails_behind_its_beginning_is_one_document() {
        for (key, ends_with) in [
            ("good", "CompleteMultipartUploadResult>"),
            ("bad", "<Message>it is there</Message></Error>"),
        ] {
            let text = completed(key).await;
            assert_eq!(text.matches("<?xml").count(), 1, "{text}");
            assert!(text.starts_with("<?xml") && text.contains(ends_with), "{text}");
        }
    }
}
