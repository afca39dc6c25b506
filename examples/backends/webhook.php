<?php // Is told what happens, and answers what clients ask. See README.md.

function signed(string $body): bool
{
    $sent = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $key = base64_decode(substr(getenv('BARO_WEBHOOK_SECRET'), strlen('whsec_')));
    $wanted = 'v1,' . base64_encode(hash_hmac('sha256', ($_SERVER['HTTP_WEBHOOK_ID'] ?? '') . ".$sent.$body", $key, true));
    $fits = array_filter(explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? ''), fn($given) => hash_equals($wanted, $given));
    return $fits && preg_match('/^\d+\z/', $sent) && abs(time() - (int) $sent) <= 300;
}

function answer(array $message): array
{
    if (isset($message['events'])) {
        error_log(json_encode($message['events']));
        return [200, (object) []];
    }
    if ($message['type'] === 'rpc' && $message['data']['method'] === 'greet') {
        return [200, ['data' => 'Hello, ' . $message['data']['data']]];
    }
    return [404, ['error' => ['code' => 'unknown_method', 'message' => 'there is greet']]];
}

$body = file_get_contents('php://input');
[$status, $answer] = signed($body) ? answer(json_decode($body, true)) : [401, (object) []];
http_response_code($status);
echo json_encode($answer);
