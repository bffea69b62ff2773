//! Traces for OpenTelemetry (feature `otel`): every request is a span, part of its client's trace
//! where the request says so (W3C `traceparent`), and goes to the collector that the usual variables
//! name (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, …). Without an endpoint nothing is sent.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

use onward::internals::encryption;
use onward::{Error, Result};

/// The variables that turn it on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The name of this service, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "onward";

/// Sends what is left when it is dropped.
pub struct Sending(SdkTracerProvider);

impl Drop for Sending {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// The layer that turns spans into traces, if a collector is named.
pub fn layer<S>() -> Result<Option<(OpenTelemetryLayer<S, SdkTracer>, Sending)>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if ENDPOINTS.iter().all(|name| std::env::var_os(name).is_none_or(|url| url.is_empty())) {
        return Ok(None);
    }
    encryption::ready();
    let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
        Error::invalid("traces cannot be sent: check the OTEL_ variables").with_source(error)
    })?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE));
    Ok(Some((layer, Sending(provider))))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Makes a request's span part of its client's trace.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    if let Err(error) = span.set_parent(context) {
        tracing::debug!(?error, "a request's trace is not known");
    }
}
