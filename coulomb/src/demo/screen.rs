//! What to open and to type, once the demo is ready.

use std::path::Path;

use crate::demo_file::DemoFile;

pub fn show(demo: &DemoFile, data_dir: &Path) {
    let DemoFile { http, ws, ocpp, driver, operator, charger } = demo;
    // As this process was called: after `./run` there is no `coulomb` in PATH.
    let program = std::env::args().next().unwrap_or_else(|| "coulomb".to_owned());
    let watch = match data_dir.to_str() {
        Some(".coulomb") | None => format!("{program} watch"),
        Some(other) => format!("{program} --data-dir {other} watch"),
    };
    say!(
        r#"
Coulomb is up, with 20 simulated chargers (CP001 to CP020) and 10 drivers. Ctrl-C stops it.

  Read and try the API   {http}/docs
  WebSocket              {ws}
  Metrics                {http}/metrics

  Driver     {driver_email}    {driver_password}
  Operator   {operator_email}  {operator_password}

Follow it live, in another terminal, from this directory:
  {watch} fleet                 every charger, session and command, as the operator
  {watch} me                    your sessions, as the driver
  {watch} charger:CP001         one charger

Charge, as the driver, once a charger of yours is at the address below:
  TOKEN=$(curl -s {http}/api/auth/login -H 'content-type: application/json' \
    -d '{{"email":"{driver_email}","password":"{driver_password}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s {http}/api/chargers -H "authorization: Bearer $TOKEN"
  curl -s {http}/api/chargers/CP001/status -H "authorization: Bearer $TOKEN"
  curl -s {http}/api/sessions/start -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"charger_id":"{charger_id}","connector_id":1}}'
  curl -s {http}/api/sessions/status -H "authorization: Bearer $TOKEN"
  curl -s {http}/api/sessions/stop -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"session_id":"<session_id>"}}'

Operate (log in with the operator's e-mail and password as above):
  curl -s {http}/api/charging/remote_start -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"charger_id":"{charger_id}","connector_id":1}}'
  curl -s {http}/api/chargers/CP001/commands -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"action":"Reset","payload":{{"type":"Soft"}}}}'

Point your own OCPP 1.6 charger here; it is registered, and waits:
  URL        {ocpp}/{charger_id}
  Basic auth {charger_id} : {charger_password}
  Your card  {id_tag}
"#,
        driver_email = driver.email,
        driver_password = driver.password,
        operator_email = operator.email,
        operator_password = operator.password,
        charger_id = charger.id,
        charger_password = charger.password,
        id_tag = charger.id_tag,
    );
}
