//! `up`, `serve`: the sidecar, with the local instance or over what is set.

use std::path::PathBuf;
use std::time::Duration;

use onward::internals::local::{self, LocalInstance};
use onward::internals::objects::Checksum;
use onward::{Config, Error, Onward, Result};
use onward_server::{Listen, S3Listen, Server, ServerConfig, TlsFiles};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit};
use super::iceberg_access::IcebergArgs;
use super::instance::data_dir;
use super::out::Out;
use super::session::{blocking, config_or_new};
use super::shape::add;
use super::signals::Signals;
use super::sink::Allow;

/// How the sidecar's log is written, to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The checksum of what is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum UploadChecksum {
    Md5,
    Blake3,
}

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// 127.0.0.1:8000, 0.0.0.0:8443, unix:///run/onward.sock; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "ONWARD_LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: Listen,
    /// The certificate, and what leads from it to its root, in PEM
    #[arg(long, value_name = "FILE", env = "ONWARD_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", env = "ONWARD_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Listen for other machines without TLS: behind a proxy that has it
    #[arg(long, env = "ONWARD_INSECURE_HTTP")]
    pub insecure_http: bool,
    /// A folder that imports and reads of linked objects may go to: file:///srv/raw, s3://raw; may
    /// be repeated
    #[arg(long, value_name = "URL", env = "ONWARD_ALLOW_SOURCE", value_delimiter = ' ')]
    pub allow_source: Vec<String>,
    #[command(flatten)]
    pub allow: Allow,
    /// A folder that Iceberg tables lie below: file:///srv/tables, s3://tables; without it they lie in the
    /// deployment's own storage
    #[arg(long, value_name = "URL", env = "ONWARD_ICEBERG_WAREHOUSE")]
    pub iceberg_warehouse: Option<String>,
    #[command(flatten)]
    pub iceberg: IcebergArgs,
    /// Where the S3 gateway listens, besides: 127.0.0.1:8001; without it there is none
    #[arg(long, value_name = "ADDR", env = "ONWARD_S3_LISTEN")]
    pub s3_listen: Option<Listen>,
    /// A domain below which a bucket is a host, such as s3.example.com for lake.s3.example.com; may be
    /// repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "ONWARD_S3_DOMAIN",
        value_delimiter = ' ',
        requires = "s3_listen"
    )]
    pub s3_domain: Vec<String>,
    /// What uploads are summed with: lakeFS's clients compare MD5, BLAKE3 is several times as fast
    #[arg(long, value_name = "KIND", env = "ONWARD_CHECKSUM", default_value = "md5")]
    pub checksum: UploadChecksum,
    /// Whose key is made, if it is not there, and may do everything
    #[arg(long, value_name = "ID", env = "ONWARD_ACCESS_KEY_ID")]
    pub access_key_id: Option<String>,
    /// How the log on stderr is written
    #[arg(long, value_name = "FORMAT", env = "ONWARD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// The secret of an access key, such as the administrator's; not a flag, because everybody can read those.
pub const SECRET_VARIABLE: &str = "ONWARD_SECRET_ACCESS_KEY";

impl ServeArgs {
    fn config(self) -> Result<ServerConfig> {
        let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
        let id = self.access_key_id.filter(|id| !id.is_empty());
        let admin = match (id, secret) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(format!(
                    "ONWARD_ACCESS_KEY_ID and {SECRET_VARIABLE} go together: set both, or neither to have a key made"
                )));
            }
        };
        let tls = self.tls_cert.zip(self.tls_key).map(|(cert, key)| TlsFiles { cert, key });
        let domains = self.s3_domain;
        Ok(ServerConfig {
            tls,
            s3: self.s3_listen.map(|listen| S3Listen { listen, domains }),
            insecure: self.insecure_http,
            admin,
            sources: self.allow_source,
            allow_sinks: self.allow.allow_sink,
            iceberg_warehouse: self.iceberg_warehouse,
            iceberg_access: self.iceberg.access()?,
            #[cfg(feature = "page")]
            command: std::env::current_exe().ok(),
            ..ServerConfig::new(self.listen)
        })
    }
}

/// Runs the local instance and its sidecar until they are told to stop.
pub async fn up(global: &Global, out: &Out, args: Box<ServeArgs>) -> Done {
    let dir = data_dir(global, "up")?;
    // Listened for before anything is started, so that nothing is left running by an early one.
    let signals = Signals::listen(*out)?;
    let ensured = dir.clone();
    let instance = blocking(move || LocalInstance::ensure(&ensured)).await?;
    let place = json!({
        "redis": instance.redis_url,
        "storage": instance.storage_url,
        "started": instance.started,
    });
    let config = config_or_new(global).await?;
    let keeper = tokio::spawn(keep(dir.clone()));
    let served = run(out, config, *args, signals, place).await;
    keeper.abort();
    // Somebody else's instance goes on.
    if instance.started {
        blocking(move || local::stop(&dir)).await?;
        out.note("stopped; the data stays");
    }
    served
}

/// Between two looks at whether the local instance lives.
const LOOKS: Duration = Duration::from_secs(1);

/// Starts the local instance again whenever it has died. One that was stopped stays so.
async fn keep(dir: PathBuf) {
    loop {
        tokio::time::sleep(LOOKS).await;
        let died = dir.clone();
        match blocking(move || local::revive(&died)).await {
            Ok(true) => tracing::warn!("the local Redis had died: started it again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the local Redis has died, and does not start"),
        }
    }
}

/// Runs the sidecar until it is told to stop.
pub async fn serve(global: &Global, out: &Out, args: Box<ServeArgs>) -> Done {
    let signals = Signals::listen(*out)?;
    let config = config_or_new(global).await?;
    // The URL of Redis may hold a password.
    let place = json!({"storage": config.storage});
    run(out, config, *args, signals, place).await
}

async fn run(
    out: &Out,
    mut config: Config,
    args: ServeArgs,
    mut signals: Signals,
    mut place: Value,
) -> Done {
    raise_file_limit();
    config.checksum = match args.checksum {
        UploadChecksum::Md5 => Checksum::Md5,
        UploadChecksum::Blake3 => Checksum::Blake3,
    };
    let onward = Onward::connect(config).await?;
    let server = Server::bind(onward.clone(), args.config()?).await?;
    let url = server.url();
    let new = server.first_key();
    add(&mut place, "listen", url.as_str());
    let s3 = server.s3_url();
    if let Some(s3) = &s3 {
        add(&mut place, "s3_listen", s3.as_str());
    }
    if let Some(new) = new {
        add(&mut place, "access_key_id", new.key.id.as_str());
        add(&mut place, "secret_access_key", new.secret.as_str());
    }
    let key = new.map(|new| {
        format!(
            "\naccess key id      {}\nsecret access key  {}   (shown this once)",
            new.key.id, new.secret
        )
    });
    let storage = place.get("storage").and_then(Value::as_str).unwrap_or_default().to_owned();
    out.data(
        || place,
        || {
            let paths = match url.starts_with("unix:") {
                true => String::new(),
                false => {
                    let page = if cfg!(feature = "page") { "a page for browsers, " } else { "" };
                    format!("   ({page}lakeFS API: {url}/api/v1, Onward's own: {url}/docs)")
                }
            };
            let key = key.unwrap_or_default();
            let s3 = s3.map(|url| format!("\nS3                 {url}")).unwrap_or_default();
            format!("sidecar            {url}{paths}{s3}\nstorage            {storage}{key}")
        },
    )?;
    out.note("running; Ctrl-C stops it");
    let stopper = server.stopper();
    let stops = tokio::spawn(async move {
        signals.caught().await;
        tracing::info!("told to stop: finishing what was accepted");
        stopper.cancel();
    });
    let finished = server.serve().await;
    stops.abort();
    onward.close().await;
    if !finished {
        out.note("some requests were still under way and were cut off; what was accepted is decided all the same");
    }
    Ok(Exit::Done)
}

/// Each connection takes a file descriptor: as many as this process may have.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
}
