//! nginx in front, with the routing that `docker/nginx` ships.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use owned_process::Program;

use crate::error::Error;
use crate::part::Part;
use crate::process::{Ready, Recipe};

/// Which role answers what; the same file that containers use.
const ROUTING: &str = include_str!("../../docker/nginx/coulomb.conf.template");
/// Where distributions put it, besides PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];
/// A process that refused is tried again after this.
const TRIED_AGAIN_AFTER_S: u32 = 1;

/// Behind which ports each role is.
#[derive(Default)]
pub(crate) struct Upstreams {
    pub(crate) commands: Vec<u16>,
    pub(crate) realtimes: Vec<u16>,
    pub(crate) edges: Vec<u16>,
}

pub(crate) fn program() -> Result<PathBuf, Error> {
    owned_process::find("nginx", &PLACES).ok_or(Error::Missing { program: "nginx", package: "nginx-light" })
}

/// Writes the configuration, and answers its path.
pub(crate) fn configure(directory: &Path, http: u16, ocpp: u16, upstreams: &Upstreams) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(directory).map_err(Error::file("can't create", directory))?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(Error::file("can't write", &path)).map(|()| path)
    };
    let routing = ROUTING
        .replace("${COULOMB_RESOLVER}", "127.0.0.1")
        // Names of groups of servers go before names that are looked up.
        .replace("${COULOMB_COMMAND_SERVICE}", "command_services")
        .replace("${COULOMB_REALTIME_API}", "realtime_apis")
        .replace("${COULOMB_OCPP_EDGE}", "ocpp_edges")
        .replace("listen 8080;", &format!("listen 127.0.0.1:{http};"))
        .replace("listen 9000;", &format!("listen 127.0.0.1:{ocpp};"));
    let routing = write("coulomb.conf", &routing)?;
    write("nginx.conf", &settings(directory, &routing, upstreams))
}

/// How it is run by that configuration.
pub(crate) fn recipe(conf: &Path, http: u16) -> Result<Recipe, Error> {
    let program = Program::new(program()?).args(["-e", "stderr", "-c"]).arg(conf);
    Ok(Recipe { part: Part::Nginx, program, ready: Ready::Port(http) })
}

fn settings(directory: &Path, routing: &Path, upstreams: &Upstreams) -> String {
    let directory = directory.display();
    let mut groups = String::new();
    let Upstreams { commands, realtimes, edges } = upstreams;
    for (name, ports) in [("command_services", commands), ("realtime_apis", realtimes), ("ocpp_edges", edges)] {
        let _ = writeln!(groups, "    upstream {name} {{");
        for port in ports {
            let _ =
                writeln!(groups, "        server 127.0.0.1:{port} max_fails=1 fail_timeout={TRIED_AGAIN_AFTER_S}s;");
        }
        let _ = writeln!(groups, "    }}");
    }
    let user = if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" };
    // One process: killed or frozen, all of it is.
    format!(
        "daemon off;\nmaster_process off;\n{user}pid {directory}/nginx.pid;\nerror_log stderr warn;\n\
         events {{\n    worker_connections 8192;\n    multi_accept on;\n}}\n\
         http {{\n    access_log off;\n    server_tokens off;\n    tcp_nodelay on;\n    keepalive_timeout 65s;\n    \
         client_body_temp_path {directory}/client;\n    proxy_temp_path {directory}/proxy;\n    \
         fastcgi_temp_path {directory}/fastcgi;\n    uwsgi_temp_path {directory}/uwsgi;\n    \
         scgi_temp_path {directory}/scgi;\n{groups}    include {};\n}}\n",
        routing.display()
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_routing_of_containers_is_fit_for_this_machine_too() {
        let home = tempfile::tempdir().expect("a directory");
        let upstreams = Upstreams { commands: vec![20_001], realtimes: vec![20_002, 20_003], edges: vec![20_004] };
        let (http, ocpp) = (20_005, 20_006);
        let conf = configure(home.path(), http, ocpp, &upstreams).expect("it is written");
        let routing = std::fs::read_to_string(home.path().join("coulomb.conf")).expect("it is written");
        assert!(!routing.contains("${"), "something is not filled in: {routing}");
        for port in [http, ocpp] {
            assert!(routing.contains(&format!("listen 127.0.0.1:{port};")), "nobody listens on {port}");
        }
        let output =
            Command::new(program().expect("nginx is installed")).args(["-t", "-e", "stderr", "-c"]).arg(conf).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
