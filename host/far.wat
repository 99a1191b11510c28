;; far.wat - banks in further memories of 4 GiB each, for hosts whose only way to more memory is WebAssembly's own. C cannot name a second memory, so
;; these few functions stand between: they take the place of chord_host_v1's bank_*, and copy. Kernels stay in C.
;;
;; A bank's number is the memory's index times 65536 plus the page it begins at. bank_open is called by one thread.
(module
  (import "env" "memory" (memory $main 1 65536 shared))
  (import "far" "0" (memory $far0 0 65536 shared))
  (import "far" "1" (memory $far1 0 65536 shared))
  (import "far" "2" (memory $far2 0 65536 shared))

  (func (export "bank_kind") (result i32) (i32.const 2))

  (func $pages (param $memory i32) (result i32)
    (if (i32.eqz (local.get $memory)) (then (return (memory.size $far0))))
    (if (i32.eq (local.get $memory) (i32.const 1)) (then (return (memory.size $far1))))
    (memory.size $far2))

  (func $grow (param $memory i32) (param $pages i32) (result i32)
    (if (i32.eqz (local.get $memory)) (then (return (memory.grow $far0 (local.get $pages)))))
    (if (i32.eq (local.get $memory) (i32.const 1)) (then (return (memory.grow $far1 (local.get $pages)))))
    (memory.grow $far2 (local.get $pages)))

  ;; In the first memory with room for it; -4 (CHORD_HOST_MEMORY) when none has.
  (func (export "bank_open") (param $bytes i32) (result i32)
    (local $memory i32) (local $first i32) (local $pages i32)
    (local.set $pages (i32.shr_u (local.get $bytes) (i32.const 16)))
    (loop $next
      (if (i32.le_u (i32.add (call $pages (local.get $memory)) (local.get $pages)) (i32.const 65535))
        (then
          (local.set $first (call $grow (local.get $memory) (local.get $pages)))
          (if (i32.ne (local.get $first) (i32.const -1))
            (then (return (i32.or (i32.shl (local.get $memory) (i32.const 16)) (local.get $first)))))))
      (local.set $memory (i32.add (local.get $memory) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $memory) (i32.const 3))))
    (i32.const -4))

  (func $address (param $bank i32) (param $at i32) (result i32)
    (i32.add (i32.shl (i32.and (local.get $bank) (i32.const 65535)) (i32.const 16)) (local.get $at)))

  (func (export "bank_read") (param $bank i32) (param $at i32) (param $to i32) (param $len i32) (result i32)
    (local $from i32) (local $memory i32)
    (local.set $from (call $address (local.get $bank) (local.get $at)))
    (local.set $memory (i32.shr_u (local.get $bank) (i32.const 16)))
    (if (i32.eqz (local.get $memory))
      (then (memory.copy $main $far0 (local.get $to) (local.get $from) (local.get $len)))
      (else (if (i32.eq (local.get $memory) (i32.const 1))
        (then (memory.copy $main $far1 (local.get $to) (local.get $from) (local.get $len)))
        (else (memory.copy $main $far2 (local.get $to) (local.get $from) (local.get $len))))))
    (i32.const 0))

  (func (export "bank_write") (param $bank i32) (param $at i32) (param $from i32) (param $len i32) (result i32)
    (local $to i32) (local $memory i32)
    (local.set $to (call $address (local.get $bank) (local.get $at)))
    (local.set $memory (i32.shr_u (local.get $bank) (i32.const 16)))
    (if (i32.eqz (local.get $memory))
      (then (memory.copy $far0 $main (local.get $to) (local.get $from) (local.get $len)))
      (else (if (i32.eq (local.get $memory) (i32.const 1))
        (then (memory.copy $far1 $main (local.get $to) (local.get $from) (local.get $len)))
        (else (memory.copy $far2 $main (local.get $to) (local.get $from) (local.get $len))))))
    (i32.const 0))

  ;; A memory never shrinks: what was opened stays until the guest ends.
  (func (export "bank_close") (param $bank i32) (result i32) (i32.const 0)))
