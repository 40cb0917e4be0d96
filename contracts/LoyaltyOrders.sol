// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Account} from "./LoyaltyAccounts.sol";
import {LoyaltyLedger} from "./LoyaltyLedger.sol";
import {LoyaltyPartners} from "./LoyaltyPartners.sol";

/// @title Signed orders: the only ways in which tokens come and go
/// @notice Anybody may submit an order; its EIP-712 signature alone decides. An order takes effect exactly once and
/// as a whole: each signer's orders form a line of consecutive numbers, and a failing item fails the call.
/// @dev Lists are packed, one 32-byte word `address(20) | amount(12)` per item. An empty list is legal: it takes the
/// place of an order that can no longer execute. Sequences, nonces and roles are read and signatures checked, by
/// static call at most, before anything is written.
abstract contract LoyaltyOrders is LoyaltyPartners, EIP712, LoyaltyLedger, Pausable {
    /// @notice Signers with this role may expire tokens whose guaranteed life has passed.
    bytes32 public constant EXPIRER_ROLE = keccak256("EXPIRER_ROLE");

    bytes32 private constant ISSUE_TYPEHASH =
        keccak256("Issue(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes credits)");
    bytes32 private constant REVERSE_TYPEHASH =
        keccak256("Reverse(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant EXPIRE_TYPEHASH = keccak256("Expire(uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant REDEEM_TYPEHASH = keccak256(
        "Redeem(address member,uint64 amount,uint32 partner,bytes32 reference,uint40 nonce,uint40 deadline)"
    );

    uint256 private constant ECDSA_SIZE = 65;
    /// @dev Half the order of secp256k1, rounded down: the largest s of a canonical signature (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// @dev member(20) | amount(8) | partner(4) | reference(32) | nonce(5) | deadline(5) | signatureLength(2)
    uint256 private constant REDEMPTION_HEAD_SIZE = 76;

    /// @dev A redemption as EIP-712 encodes it: one clean word per field, the type hash first.
    struct Redemption {
        bytes32 typeHash;
        address member;
        uint256 amount;
        uint256 partner;
        bytes32 reference_;
        uint256 nonce;
        uint256 deadline;
    }

    uint64 private _expirySequence;

    /// @notice Executes a partner's issuance: one Transfer from zero per credit, then Issued.
    /// @param sequence the partner's last one plus 1, else LoyaltySequence
    /// @param trailRoot Merkle root of the operations behind the credits
    /// @param credits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidReceiver(0), LoyaltyAmount, LoyaltyAllowance, LoyaltyPeriodCap or LoyaltySupply.
    /// @param signature of the partner's signer over Issue, else LoyaltySignature. Only active partners issue, else
    /// LoyaltyPartnerInactive.
    function issue(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata credits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        require(terms.active, LoyaltyPartnerInactive(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(ISSUE_TYPEHASH, partner, sequence, trailRoot, credits);
        _requireSignature(terms.signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _credit(credits);
        _countIssued(partner, terms, total);
        emit Issued(partner, sequence, trailRoot, total);
    }

    /// @notice Executes a partner's reversal of what it issued: one Transfer to zero per debit, then Reversed.
    /// Suspended partners may reverse too, so that returns stay possible.
    /// @param sequence as for `issue`; both orders share the partner's line
    /// @param debits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidSender(0), LoyaltyAmount, ERC20InsufficientBalance or LoyaltyReversal.
    /// @param signature of the partner's signer over Reverse, else LoyaltySignature
    function reverse(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        address signer = terms.signer;
        require(signer != address(0), LoyaltyPartnerUnknown(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(REVERSE_TYPEHASH, partner, sequence, trailRoot, debits);
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _debit(debits, false);
        _countReversed(partner, terms, total);
        emit Reversed(partner, sequence, trailRoot, total);
    }

    /// @notice Executes the programme's expiry: one Transfer to zero per debit, then Expired.
    /// @param signer holder of EXPIRER_ROLE, else AccessControlUnauthorizedAccount
    /// @param sequence the last expiry's plus 1, else LoyaltySequence; one line for the whole programme
    /// @param debits packed list as for `reverse`; what was credited in this epoch or the one before is out of reach
    /// and reverts with LoyaltyProtected
    /// @param signature of `signer` over Expire, else LoyaltySignature
    function expire(
        address signer,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        _checkRole(EXPIRER_ROLE, signer);
        _requireNext(_expirySequence, sequence);
        bytes32 structHash = keccak256(abi.encode(EXPIRE_TYPEHASH, sequence, trailRoot, keccak256(debits)));
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        _expirySequence = sequence;
        emit Expired(sequence, trailRoot, _debit(debits, true));
    }

    /// @notice Executes members' redemptions, one after the other: for each a Transfer to zero, then Redeemed.
    /// @param orders records back to back, at least one, each `member(20) | amount(8) | partner(4) | reference(32) |
    /// nonce(5) | deadline(5) | signatureLength(2) | signature`. Amounts are whole tokens; the deadline is the last
    /// valid Unix second. The signature is the member's over Redeem: by key, or by ERC-1271 when the key does not
    /// match. Reverts with LoyaltyPacked, LoyaltyDeadline, LoyaltyPartnerInactive, LoyaltyNonce, LoyaltySignature,
    /// LoyaltyAmount or ERC20InsufficientBalance.
    function redeem(bytes calldata orders) external whenNotPaused {
        require(orders.length != 0, LoyaltyPacked(0));
        bytes32 domain = _domainSeparatorV4();
        Redemption memory order;
        order.typeHash = REDEEM_TYPEHASH;
        uint256 total;
        uint256 cursor;
        // The partner found active last, since neighbours often name the same one; at first no partner at all.
        uint256 checked = type(uint256).max;
        unchecked {
            // Bounded by the calldata: each record moves the cursor on, and amounts are below 2^64.
            while (cursor != orders.length) {
                bytes calldata signature = _readRedemption(orders, cursor, order);
                if (order.partner != checked) {
                    checked = order.partner;
                    require(_partners[uint32(checked)].active, LoyaltyPartnerInactive(uint32(checked)));
                }
                _redeem(order, domain, signature);
                total += order.amount;
                cursor += REDEMPTION_HEAD_SIZE + signature.length;
            }
        }
        _shrink(total);
    }

    /// @notice Sequence of the last executed expiry; the next one carries this plus 1.
    function expirySequence() external view returns (uint64) {
        return _expirySequence;
    }

    function _requireNext(uint64 last, uint64 given) private pure {
        uint256 expected = uint256(last) + 1;
        require(given == expected, LoyaltySequence(expected, given));
    }

    function _batchHash(bytes32 typeHash, uint32 partner, uint64 sequence, bytes32 trailRoot, bytes calldata list)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(typeHash, partner, sequence, trailRoot, keccak256(list)));
    }

    /// @dev A key is tried first: that spares looking for code, and it is right for EIP-7702 accounts. Only the
    /// canonical 65 bytes count for a key: neither the 64-byte form nor the twin with a high s (EIP-2).
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) private view {
        if (signature.length == ECDSA_SIZE) {
            bytes32 s = bytes32(_wordAt(signature, 32));
            if (uint256(s) <= HALF_ORDER) {
                // v is byte 64, the last of the word that starts at byte 33.
                uint8 v = uint8(_wordAt(signature, 33));
                address recovered = ecrecover(digest, v, bytes32(_wordAt(signature, 0)), s);
                // Whatever does not recover gives zero, which signs for nobody. Nested: `&&` costs another jump.
                if (recovered != address(0)) {
                    if (recovered == signer) return;
                }
            }
        }
        require(
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature), LoyaltySignature(signer)
        );
    }

    /// @dev Executes a redemption whose partner is active.
    function _redeem(Redemption memory order, bytes32 domain, bytes calldata signature) private {
        address member = order.member;
        if (block.timestamp > order.deadline) revert LoyaltyDeadline(order.deadline);
        Holder storage holder = _holder(member);
        uint256 expected = holder.account.nonce();
        if (order.nonce != expected) revert LoyaltyNonce(member, expected, order.nonce);
        // The last nonce is never used up, so that counting on cannot reach the epoch's bits.
        if (expected == type(uint40).max) revert LoyaltyNonce(member, expected, expected);
        _requireSignature(member, MessageHashUtils.toTypedDataHash(domain, _structHash(order)), signature);

        _redeemFrom(member, holder, order.amount);
        emit Redeemed(member, uint32(order.partner), uint40(order.nonce), order.reference_);
    }

    /// @dev keccak256(abi.encode(order)): a struct of seven words lies in memory as its encoding does.
    function _structHash(Redemption memory order) private pure returns (bytes32 structHash) {
        assembly ("memory-safe") {
            structHash := keccak256(order, 0xe0)
        }
    }

    /// @dev Reads the record at `cursor` into `order` and returns its signature, proven to end within the list. Its
    /// length stands in bytes 74 and 75; read beyond the list's end it is some number, and the record then ends beyond
    /// the list too. Every field is cut to its width.
    function _readRedemption(bytes calldata list, uint256 cursor, Redemption memory order)
        private
        pure
        returns (bytes calldata signature)
    {
        unchecked {
            uint256 head = _wordAt(list, cursor);
            order.member = address(uint160(head >> 96));
            order.amount = uint64(head >> 32);
            order.partner = uint32(head);
            order.reference_ = bytes32(_wordAt(list, cursor + 32));
            uint256 tail = _wordAt(list, cursor + 64);
            order.nonce = tail >> 216;
            order.deadline = uint40(tail >> 176);
            assembly ("memory-safe") {
                signature.offset := add(add(list.offset, cursor), REDEMPTION_HEAD_SIZE)
                signature.length := and(shr(160, tail), 0xffff)
            }
            if (cursor + REDEMPTION_HEAD_SIZE + signature.length > list.length) revert LoyaltyPacked(list.length);
        }
    }
}
