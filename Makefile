# Two commands do all the set-up: `make demo` answers a question and installs only what that needs, `make test` passes the tests.
BUILD ?= build
MODELS ?= smollm2
MODEL ?= smollm2
JOBS ?= $(shell nproc)
export CHORD_MODELS ?= $(CURDIR)/models

.PHONY: all setup demo demo-web test versus bench wasm format clean help

all: ## build build/chord and build/libchord.a
	@scripts/setup build
	@scripts/build $(BUILD)

setup: ## install what the tests need: everything
	@scripts/setup test $(MODELS)

demo: ## fetch a small model and answer within less memory than it has (MODEL=name, file or URL)
	@scripts/setup build "$(MODEL)"
	@scripts/build $(BUILD)
	@scripts/demo $(BUILD) "$(MODEL)"

demo-web: ## the demo page of the browser package, on this machine (PORT=8090)
	@scripts/setup wasm
	@scripts/build-wasm $(BUILD)/wasm
	@WASM=$(BUILD)/wasm scripts/build-web
	@scripts/serve-demo $(PORT)

test: setup ## build and pass all tests (MODELS="smollm2 gemma3 qwen" for more real models)
	@BUILD=$(BUILD) JOBS=$(JOBS) scripts/test $(MODELS)

versus: all ## the same question to llama.cpp and to us, in the same memory, side by side
	@scripts/versus $(BUILD)

bench: all ## the table of docs/PERFORMANCE.md, measured here
	@scripts/performance $(BUILD)

wasm: ## the WebAssembly modules, and the host in build/chord-wasm (fetches Wasmtime)
	@scripts/setup wasm
	@scripts/get-wasmtime >/dev/null
	@scripts/build $(BUILD)
	@scripts/build-wasm $(BUILD)/wasm
	@scripts/build-wasi $(BUILD)/wasm
	@echo "try: $(BUILD)/chord wasm run $(BUILD)/wasm/chord-guest-wasm32.wasm models/smollm2.gguf -p \"Why is the sky blue?\""

format: ## clang-format all our C
	@scripts/setup format
	@clang-format-22 -i $$(scripts/check-format --list)

clean:
	rm -rf build build-*

help:
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10
