"""What people see and touch while the kernel lives: widgets of one model each, drawn by plain scripts without a build
step. What is saved is never one of them: see `render`."""
