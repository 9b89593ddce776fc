//! What a URL names, as the provider's own library has it.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::Url;

/// A request that fails for a moment is made again so often, and for so long.
const RETRIES_MAX: usize = 5;
const RETRY_FOR: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request, of which a large object takes many.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Nothing is asked of the provider.
pub fn store(url: &Url) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
    Ok(match url.scheme() {
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_url(url.as_str());
            // With the options a setting of AWS_ALLOW_HTTP would be gone.
            let allow_http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
            Arc::new(builder.with_client_options(client.with_allow_http(allow_http)).with_retry(retry).build()?)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
            Arc::new(builder.with_client_options(client).with_retry(retry).build()?)
        }
        "az" | "abfs" | "abfss" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
            Arc::new(builder.with_client_options(client).with_retry(retry).build()?)
        }
        _ => Arc::new(LocalFileSystem::new()),
    })
}
