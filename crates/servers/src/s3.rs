//! Serves a store over HTTP.

pub mod store;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

use self::store::Store;

pub const KEY_ID: &str = "AKIAEXAMPLEKEYID";
pub const SECRET: &str = "wJalrXUtnFEMIsecretK7MDENG";

/// Serves a store to those who sign with the key, or to all, until the process ends; its address.
pub fn serve(store: &Store, signed: bool, skew: Option<u32>) -> SocketAddr {
    let mut builder = S3ServiceBuilder::new(store.clone());
    if signed {
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    }
    if let Some(skew) = skew {
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = skew;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    }
    let service = builder.build();
    let (send, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                // One that a test cuts is none of the server's errors.
                tokio::spawn(async { drop(connection.await) });
            }
        });
    });
    address.recv().unwrap()
}
