//! The same model through the plain `wasi-nn` crate, which knows neither GGML nor streams: load by name, a prompt, a text.

use wasi_nn::{ExecutionTarget, GraphBuilder, GraphEncoding, TensorType};

fn main() {
    let prompt = std::env::args().nth(1).unwrap_or("Once upon a time".into());
    let graph = GraphBuilder::new(GraphEncoding::Autodetec, ExecutionTarget::CPU).build_from_cache("default").expect("load_by_name");
    let mut context = graph.init_execution_context().expect("init_execution_context");
    let config = r#"{"temp": 0, "n-predict": 24, "ctx-size": 256, "ignore-eos": true}"#;
    context.set_input(1, TensorType::U8, &[config.len()], config.as_bytes()).expect("metadata");
    context.set_input(0, TensorType::U8, &[prompt.len()], prompt.as_bytes()).expect("set_input");
    context.compute().expect("compute");
    let mut buffer = vec![0u8; 65536];
    let n = context.get_output(0, &mut buffer).expect("get_output");
    println!("text {:?}", String::from_utf8_lossy(&buffer[..n]));
}
