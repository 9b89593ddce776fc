SELECT consumer, reached FROM log_consumers_behind($1) ORDER BY reached
